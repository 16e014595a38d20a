"""SQL: databases, migrations, the event log and the order journal."""
