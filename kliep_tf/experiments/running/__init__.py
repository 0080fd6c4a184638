"""How experiments run the other programs: as cached jobs, or in stages."""
