"""The databases: each folder drives one library, and is imported when its URL is opened."""
