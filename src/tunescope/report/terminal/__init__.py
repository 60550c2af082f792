"""What commands show on a terminal, with rich: tables, notes and progress."""
