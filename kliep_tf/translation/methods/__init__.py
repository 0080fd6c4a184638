"""The methods of image translation, a folder each."""
