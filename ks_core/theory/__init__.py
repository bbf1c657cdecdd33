"""The linear algebra of edits: whitening, superposition, closed-form edits and their interference.

The formulas are those of Hu, Cao, Chen, Liu and Zhao, "Knowledge in Superposition: Unveiling the Failures of Lifelong
Knowledge Editing for Large Language Models", AAAI 2025 (arXiv 2408.07413), cited below as Hu et al. 2025.
"""
