"""Files that appear in a folder, behind SFTP, or in a bucket."""
