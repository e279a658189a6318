"""Write a service account's key file that no real service knows: enough to sign for a fake bucket."""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

key = rsa.generate_private_key(65537, 2048)
pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
account = {
    "type": "service_account",
    "project_id": "local",
    "private_key_id": "local",
    "private_key": pem.decode(),
    "client_email": "local@local.iam.gserviceaccount.com",
    "token_uri": "http://gcs.localhost:4443/token",
}
file = Path(sys.argv[1])
file.write_text(json.dumps(account))
file.chmod(0o444)
