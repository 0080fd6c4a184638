"""How experiments run the other programs: jobs, and what is shown of them."""
