# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real servers that speak S3, each started once, when the first test wants it; ended with the tests."""

import atexit
import concurrent.futures
import functools
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid

import botocore.config
import botocore.session

REGION = "us-east-1"
DOMAIN, TLS_PORT = "s3.test", 7443      # of Ceph's: buckets are below its name, TLS is at this port
PROCESSES = []


@atexit.register
def stop_all():
    for process in reversed(PROCESSES):
        process.kill()
    for process in PROCESSES:
        process.wait()


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options).stdout


def spawn(log, *command, **environment):
    with open(log, "ab") as out:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env={**os.environ, **environment})
    PROCESSES.append(process)
    return process


def make_certificate(folder, *names):
    """A certificate for these names that is an authority of its own; its key lies beside it."""
    certificate = folder / "tls.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names),
        "-keyout", certificate.with_suffix(".key"), "-out", certificate)
    return certificate


def client(endpoint, access, secret, token=None, service="s3", region=REGION):
    return botocore.session.get_session().create_client(
        service, region_name=region, endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
        aws_session_token=token,
        config=botocore.config.Config(parameter_validation=False, s3={"addressing_style": "path"}, retries={"max_attempts": 1},
                                      max_pool_connections=16))


def wait_for(what, seconds=60):
    """Until it raises nothing."""
    end = time.monotonic() + seconds
    while True:
        try:
            return what()
        except Exception:  # pylint: disable=broad-except
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Server:
    """Where it is, with whose keys, and a client of botocore's to it."""

    def __init__(self, port, access, secret):
        self.port, self.access, self.secret = port, access, secret
        self.endpoint = f"http://127.0.0.1:{port}"
        self.s3 = client(self.endpoint, access, secret)

    def put(self, bucket, prefix, files):
        """Objects with these keys below the prefix; the bucket is made where it is missing."""
        if bucket not in [b["Name"] for b in self.s3.list_buckets()["Buckets"]]:
            self.s3.create_bucket(Bucket=bucket)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: self.s3.put_object(Bucket=bucket, Key=prefix + item[0], Body=item[1]),
                          files.items()))
        return f"s3://{bucket}/{prefix}"

    def environment(self, **more):
        return {"S3_ENDPOINT": self.endpoint, "AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret,
                **more}


CEPH_CONF = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:23300/0,v1:127.0.0.1:26789/0]
public_addr = 127.0.0.1
keyring = {folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
mon_data = {folder}/mon/$id
osd_data = {folder}/osd/$id
osd_objectstore = memstore
memstore_device_bytes = 1073741824
admin_socket = {folder}/run/$name.asok
log_file = {folder}/$name.log
rgw_frontends = beast endpoint=127.0.0.1:7480 ssl_endpoint=127.0.0.1:7443 ssl_certificate={folder}/tls.crt ssl_private_key={folder}/tls.key
rgw_dns_name = s3.test
rgw_sts_key = abcdefghijklmnop
rgw_s3_auth_use_sts = true
rgw_sts_min_session_duration = 1
"""

TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/worker"]}, "Action": ["sts:AssumeRole"]}]}
MAY_READ = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:*"], "Resource": "arn:aws:s3:::*"}]}


class Radosgw(Server):
    """Ceph's: one monitor, one store in memory, the gateway; a user `worker`, and a role that it may take."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ceph-"))
        self.conf = self.folder / "ceph.conf"
        super().__init__(7480, "WORKERKEY" + secrets.token_hex(4).upper(), secrets.token_urlsafe(30))
        self.certificate = make_certificate(self.folder, DOMAIN)
        self.start_store()
        spawn(self.folder / "out", "radosgw", "-c", self.conf, "-n", "client.rgw.a", "-f")
        self.make_user()
        wait_for(self.s3.list_buckets)

    def ceph(self, program, *arguments):
        return run(program, "-c", self.conf, *arguments)

    def start_store(self):
        fsid, osd = uuid.uuid4(), uuid.uuid4()
        self.conf.write_text(CEPH_CONF.format(fsid=fsid, folder=self.folder))
        for name in ("mon", "osd/0", "run"):
            (self.folder / name).mkdir(parents=True)
        keyring = self.folder / "keyring"
        run("ceph-authtool", "-C", keyring, "-n", "mon.", "--gen-key", "--cap", "mon", "allow *")
        for name, caps in (("client.admin", ("mon", "allow *", "osd", "allow *", "mgr", "allow *")),
                           ("osd.0", ("mon", "allow profile osd", "osd", "allow *")),
                           ("client.rgw.a", ("mon", "allow rw", "osd", "allow rwx"))):
            pairs = [a for who, cap in zip(caps[::2], caps[1::2]) for a in ("--cap", who, cap)]
            run("ceph-authtool", keyring, "-n", name, "--gen-key", *pairs)
        monmap = self.folder / "monmap"
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", "[v2:127.0.0.1:23300,v1:127.0.0.1:26789]",
            "--clobber", monmap)
        self.ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        spawn(self.folder / "out", "ceph-mon", "-c", self.conf, "-i", "a", "-f")
        self.ceph("ceph", "--connect-timeout", "30", "osd", "new", osd, "0")
        self.ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        spawn(self.folder / "out", "ceph-osd", "-c", self.conf, "-i", "0", "-f")

    def admin(self, *arguments):
        return self.ceph("radosgw-admin", *arguments)

    def make_user(self):
        self.admin("user", "create", "--uid=worker", "--display-name=worker", f"--access-key={self.access}",
                   f"--secret-key={self.secret}", "--caps=roles=*")
        self.admin("role", "create", "--role-name=reader", f"--assume-role-policy-doc={json.dumps(TRUST)}")
        self.admin("role-policy", "put", "--role-name=reader", "--policy-name=read",
                   f"--policy-doc={json.dumps(MAY_READ)}")

    def session(self, seconds=900):
        """Real credentials of a session: access key, secret, token, expiration."""
        sts = client(self.endpoint, self.access, self.secret, service="sts")
        return sts.assume_role(RoleArn="arn:aws:iam:::role/reader", RoleSessionName="test",
                               DurationSeconds=seconds)["Credentials"]


SWIFT_SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
workers = 0
user = root
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

SWIFT_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = 8080
workers = 0
user = root
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging cache listing_formats bulk slo dlo s3api tempauth copy proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:copy]
use = egg:swift#copy
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


class Swift(Server):
    """OpenStack's, stricter: it wants the right region, and every header. Its access keys hold a colon."""

    def __init__(self):
        super().__init__(8080, "test:tester", secrets.token_urlsafe(30))
        folder = pathlib.Path(tempfile.mkdtemp(prefix="swift-"))
        (folder / "devices/d1").mkdir(parents=True)
        etc = pathlib.Path("/etc/swift")
        etc.mkdir(exist_ok=True)
        (etc / "swift.conf").write_text("[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n")
        for kind, port in (("object", 6200), ("container", 6201), ("account", 6202)):
            builder = etc / f"{kind}.builder"
            run("swift-ring-builder", builder, "create", "4", "1", "1")
            run("swift-ring-builder", builder, "add", f"r1z1-127.0.0.1:{port}/d1", "1")
            run("swift-ring-builder", builder, "rebalance")
            conf = etc / f"{kind}-server.conf"
            conf.write_text(SWIFT_SERVER.format(kind=kind, port=port, folder=folder))
            spawn(folder / "out", f"swift-{kind}-server", conf)
        (etc / "proxy-server.conf").write_text(SWIFT_PROXY.format(secret=self.secret))
        spawn(folder / "out", "swift-proxy-server", etc / "proxy-server.conf")
        self.folder = folder
        wait_for(self.s3.list_buckets)


@functools.cache
def radosgw():
    return Radosgw()


@functools.cache
def swift():
    shutil.rmtree("/etc/swift", ignore_errors=True)
    return Swift()
