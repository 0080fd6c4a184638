"""Every format that one stage hands to the next."""
