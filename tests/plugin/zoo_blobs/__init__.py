"""A plugin of the zoo: blobs from noise."""
