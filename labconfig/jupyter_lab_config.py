# Settings of the course's own JupyterLab: jupyter lab --config=labconfig/jupyter_lab_config.py
import os
from pathlib import Path

root = Path(__file__).resolve().parent.parent
os.environ["JUPYTER_CONFIG_PATH"] = str(root)  # finds labconfig/default_setting_overrides.json

c = get_config()  # noqa: F821  Jupyter provides it
c.ServerApp.root_dir = str(root)
c.LabApp.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.ServerApp.allow_root = True  # a container's user is root; the server listens on this machine only
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.ServerApp.port_retries = 0  # two servers would write into the same notebooks: say that the port is taken
c.ContentsManager.allow_hidden = True  # the README's picture lies in .github
c.LanguageServerManager.autodetect = False  # none is installed
