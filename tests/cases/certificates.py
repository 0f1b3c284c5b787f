"""Certificates of the cases, made by `openssl`."""

import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Issued:
    """Files of a certificate and its key."""

    certificate: str
    key: str

    def texts(self):
        with open(self.certificate, "rb") as certificate, open(self.key, "rb") as key:
            return certificate.read(), key.read()


class Certificates:
    """Issues certificates into a directory; one with the same tag is issued once."""

    def __init__(self, directory):
        self.directory = directory
        self.issued = {}

    def authority(self, tag):
        extension = "keyUsage=critical,keyCertSign,digitalSignature"
        return self.issue(tag, tag, [extension, "basicConstraints=critical,CA:TRUE"])

    def leaf(self, tag, names, signer=None, common_name=None):
        kind = {name: "IP" if re.fullmatch(r"[0-9.]+", name) else "DNS" for name in names}
        extensions = [
            "subjectAltName=" + ",".join(f"{kind[name]}:{name}" for name in names),
            "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth",
        ]
        return self.issue(tag, common_name or names[0], extensions, signer)

    def issue(self, tag, common_name, extensions, signer=None):
        if tag in self.issued:
            return self.issued[tag]
        issued = Issued(f"{self.directory}/{tag}.crt", f"{self.directory}/{tag}.key")
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "30", "-config", "/dev/null", "-subj", f"/CN={common_name}",
            "-keyout", issued.key, "-out", issued.certificate,
        ]
        for extension in extensions:
            command += ["-addext", extension]
        if signer:
            command += ["-CA", signer.certificate, "-CAkey", signer.key]
        subprocess.run(command, check=True, capture_output=True)
        self.issued[tag] = issued
        return issued
