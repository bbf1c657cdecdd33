"""Second moments to and from the files of other editing projects: ROME, MEMIT, PMET, AlphaEdit, EasyEdit and others."""
