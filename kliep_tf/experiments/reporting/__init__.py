"""What all reports share: pages, templates, statistics, frames, true ratios."""
