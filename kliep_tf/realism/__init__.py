"""How far a set of images is from a set of photographs, by deep features."""
