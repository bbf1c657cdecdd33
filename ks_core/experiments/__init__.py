"""What is done to a model: pairs of its facts compared, streams of edits, doses, families of sizes."""
