"""What `import ks_core as ks` gives besides the rooms' own: a thin layer over them, one file for each kind of work."""
