"""What any method of image translation needs, and a folder for each method."""
