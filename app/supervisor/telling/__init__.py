"""What the supervisor tells without Dagster and the database: alarms, and the ping that stops when all stops."""
