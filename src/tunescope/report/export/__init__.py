"""What a report says, in files for other places: tables for papers, a summary for a pull request, a card for each model."""
