"""What every layer stands on: errors, canonical JSON, ids, state moves, keys. Knows no app and no database table."""
