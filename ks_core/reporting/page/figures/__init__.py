"""What the page's charts are: each a function of stored results alone, None where its part was not measured."""
