"""What is asked for: settings, the inputs that they name, and the facts that are measured."""
