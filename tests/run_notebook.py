"""Run a notebook in a process of its own, as clients leave sockets open: python run_notebook.py SOURCE MADE SOCKETS"""

import sys

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


def main(source: str, made: str, sockets: str) -> None:
    """Run the notebook SOURCE here and write it with its outputs; sockets are files, so that no network is used."""
    notebook = nbformat.read(source, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=sockets)
    NotebookClient(notebook, km=manager, timeout=300).execute()
    nbformat.write(notebook, made)


if __name__ == "__main__":
    main(*sys.argv[1:])
