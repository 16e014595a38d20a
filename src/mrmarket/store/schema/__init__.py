"""The one definition of every table, for each database this project keeps."""
