"""SQLite below the SQL: its file, its writer, its schema.

- :mod:`.database`: SQLite: one writer thread, a few readers, a WAL between them.
- :mod:`.schema`: The schema of an SQLite file, which is made and brought up to date by whoever
  opens it.
- :mod:`.space`: Giving an SQLite file's free pages back to the disk.
"""
