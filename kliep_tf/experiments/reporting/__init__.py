"""What reports of several experiments share: numbers, tables, frames."""
