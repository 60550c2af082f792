"""What is asked, and the jobs that follow from it."""
