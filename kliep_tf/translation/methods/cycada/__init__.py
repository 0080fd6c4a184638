"""CyCADA (Hoffman et al. 2018), weighted by importance."""
