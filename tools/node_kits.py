#!/usr/bin/env python3
"""Makes what each node of a round over several machines needs: one folder a node, to be copied to its machine.

A folder holds node.json (dashf.node/2), the node's certificate and key and the authority's certificate, and a user's
data. The authority's key is thrown away: nobody can join later. Start every node inside its folder, coordinator first:
    dashf coordinator --config node.json      dashf server --config node.json      dashf user --config node.json
"""
import argparse
import json
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile

DAYS = "30"
# What the nodes must agree on; configs/README.md says what each key means.
TRAINING = {
    "adapter": "lora", "rank": 8, "alpha": 16, "rank_stabilized": False, "targets": ["q_proj", "v_proj"],
    "prompt_length": 10, "arithmetic": "float32", "weights": "auto", "objective": "early_exit", "epochs_user": 3,
    "epochs_server": 3, "epochs_joint": 0, "batch_size": 8, "accumulate": 1, "learning_rate": 3e-3,
    "schedule": "constant", "warmup": 0, "weight_decay": 0, "tokens_max": 256, "users_per_batch": 1, "seed": 1,
}


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: openssl {arguments[0]}: {done.stderr.strip()}")


def new_key(path):
    path.touch(mode=0o600)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path))


class Authority:
    def __init__(self, folder):
        self.folder, self.key, self.certificate = folder, folder / "ca.key", folder / "ca.pem"
        new_key(self.key)
        openssl("req", "-x509", "-new", "-key", str(self.key), "-subj", "/CN=dashf round authority", "-days", DAYS,
                "-addext", "keyUsage=critical,keyCertSign", "-out", str(self.certificate))

    def issue(self, name, folder):
        """The node's certificate names it, and whoever connects to it checks its host name."""
        shutil.copy(self.certificate, folder / "ca.pem")
        new_key(folder / "node.key")
        request, extensions = self.folder / "request", self.folder / "extensions"
        subject = name.replace("/", "\\/")
        openssl("req", "-new", "-key", str(folder / "node.key"), "-subj", f"/CN={subject}", "-out", str(request))
        host = ".".join(reversed(name.split("/"))) + ".dashf"
        extensions.write_text(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                              f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{host}\n")
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key),
                "-set_serial", "0x" + secrets.token_hex(8), "-days", DAYS, "-extfile", str(extensions),
                "-out", str(folder / "node.pem"))


def compute(device):
    return {"kappa_w_per_hz3": 0, "energy_j_per_flop": 0, **device["compute"]}


def user_part(user, scenario, data, folder):
    for name in ("train.jsonl", "test.jsonl"):
        shutil.copy(data / user["id"] / name, folder / name)
    labels = data / "labels.json"
    return {"compute": compute(user), "tx_power_w_max": user["tx_power_w_max"],
            "memory_bytes_max": user["memory_bytes_max"], "profile": scenario["profiles"][user["profile"]],
            "train": "train.jsonl", "test": "test.jsonl",
            "labels": json.loads(labels.read_text()) if labels.exists() else [], "adapter_folder": "adapter"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", type=pathlib.Path, help="dashf.scenario/1 with every user and server")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with USER/train.jsonl, USER/test.jsonl")
    parser.add_argument("--model", required=True, help="the base's folder or GGUF file, as each node's machine has it")
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT", help="where it listens for all others")
    parser.add_argument("--server", action="append", default=[], metavar="ID=HOST:PORT", help="where each listens")
    parser.add_argument("--profile", type=pathlib.Path, required=True, help="dashf.profile/1 that the scenario is made of")
    parser.add_argument("--registration-s", type=float, default=600, help="the coordinator waits so long for all nodes")
    parser.add_argument("--training", action="append", default=[], metavar="KEY=JSON", help="another value than the default")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()

    scenario = json.loads(options.scenario.read_text())
    machine = json.loads(options.profile.read_text())["machine"]
    training = dict(TRAINING)
    for setting in options.training:
        key, _, value = setting.partition("=")
        if key not in TRAINING:
            parser.error(f"--training {key}: there is none; one of {', '.join(TRAINING)}")
        training[key] = json.loads(value)
    listens = dict(setting.partition("=")[::2] for setting in options.server)
    if set(listens) != {server["id"] for server in scenario["servers"]}:
        parser.error("--server must be given once for each server of the scenario")
    options.out.mkdir(parents=True)

    with tempfile.TemporaryDirectory() as private:
        authority = Authority(pathlib.Path(private))

        def kit(name, part, key):
            folder = options.out / name.replace("/", "-")
            folder.mkdir(mode=0o700)
            authority.issue(name, folder)
            config = {"schema": "dashf.node/2", "node": name, "round": 1, "folder": ".",
                      "coordinator": [] if name == "coordinator" else [options.coordinator],
                      "tls": {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"},
                      "telemetry": "telemetry.jsonl", "gate": {"folder": "", "turns": 1}, "model": options.model,
                      "training": training, key: part(folder)}
            (folder / "node.json").write_text(json.dumps(config, indent=2) + "\n")

        def coordinator(folder):
            shutil.copy(options.scenario, folder / "given.json")
            return {"listen": options.coordinator, "advertise": [], "address_file": "address", "scenario": "given.json", "out": ".",
                    "method": "dashf", "seed": 1, "registration_s": options.registration_s,
                    "machine_flop_per_s": machine["clock_hz"] * machine["flop_per_cycle"]}

        kit("coordinator", coordinator, "coordinator_kit")
        for server in scenario["servers"]:
            kit("server/" + server["id"], lambda folder, server=server: {
                "compute": compute(server), "bandwidth_hz": server["bandwidth_hz"],
                "tx_power_w_max": server["tx_power_w_max"], "listen": listens[server["id"]], "advertise": []}, "server")
        for user in scenario["users"]:
            kit("user/" + user["id"],
                lambda folder, user=user: user_part(user, scenario, options.data, folder), "user")


if __name__ == "__main__":
    main()
