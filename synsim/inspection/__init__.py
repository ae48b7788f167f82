"""What a run or a sweep holds, for eyes: as plain data, and as lines of text."""
