"""The commands of the database: `sql` asks it as the reader, `database sql` prints what its administrator runs."""
