"""Programs that make, inspect and amend TFRecords of driving scenes."""
