"""The books in formats that other people's tools read, so that they can be added up without us."""
