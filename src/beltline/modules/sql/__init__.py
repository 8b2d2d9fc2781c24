"""Modules that ask and change databases, over the connections of the kind `sql`."""
