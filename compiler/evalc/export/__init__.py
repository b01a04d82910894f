"""What runs were for: their results, read into one form, compared, reported and sent elsewhere."""
