"""Results -> one HTML file that opens from disk: its sections, figures and small pictures."""
