"""Write a service account's key file that no real service knows: enough to sign for a fake bucket."""

import json
import subprocess
import sys
from pathlib import Path

key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True).stdout
account = {
    "type": "service_account",
    "project_id": "local",
    "private_key_id": "local",
    "private_key": key,
    "client_email": "local@local.iam.gserviceaccount.com",
    "token_uri": "http://gcs.localhost:4443/token",
}
file = Path(sys.argv[1])
file.write_text(json.dumps(account))
file.chmod(0o444)
