"""The rows of the report: each file measures one thing and says under what conditions."""
