# Tries to get out of a container, in small steps that do no harm where they succeed. Argument: what lies outside, as JSON.
# Prints, for each step, "open" or why it is closed.
import ctypes, errno, fcntl, json, mmap, os, platform, signal, socket, stat, struct, sys, time

world = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"
# The calls that Python has no function for: numbers on x86-64 and on arm64.
CALLS = {
    "mount": (165, 40), "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "keyctl": (250, 219), "add_key": (248, 217), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "reboot": (169, 142), "syslog": (103, 116), "swapoff": (168, 225), "personality": (135, 92), "sethostname": (170, 161),
    "iopl": (172, None),
}
NEWUSER, NEWNET, NEWNS = 0x10000000, 0x40000000, 0x20000

class Closed(Exception):
    pass

def call(name, *arguments, fine=()):
    number = CALLS[name][0 if X86 else 1]
    if number is None:
        raise Closed("no such call")
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *wide)
    code = ctypes.get_errno()
    # An error that only comes after the kernel has looked whether it is allowed.
    if result < 0 and errno.errorcode.get(code) not in fine:
        raise OSError(code, name)
    return result

# In a process of its own, so that what succeeds changes nothing here; killed, it is closed.
def apart(step):
    child = os.fork()
    if child == 0:
        try:
            step()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise Closed(signal.Signals(os.WTERMSIG(status)).name)
    if os.WEXITSTATUS(status):
        raise OSError(os.WEXITSTATUS(status), "")

def sleeping(step):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        step(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))

def connect(host, port):
    socket.create_connection((host, port), 2).close()

def unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)

def sysctl():
    with open("/proc/sys/vm/swappiness") as f:
        value = f.read()
    with open("/proc/sys/vm/swappiness", "w") as f:
        f.write(value)

def new_user_by_clone():
    child = call("clone", NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

def join_namespace():
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    call("setns", namespace, 0)

def read_memory(child):
    here = ctypes.create_string_buffer(8)
    there = ctypes.create_string_buffer(b"12345678")
    local = struct.pack("PN", ctypes.addressof(here), 8)
    remote = struct.pack("PN", ctypes.addressof(there), 8)
    call("process_vm_readv", child, local, 1, remote, 1, 0)

def device():
    path = "/tmp/device"
    try:
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    finally:
        if os.path.lexists(path):
            os.unlink(path)

def privileges():
    # Whether a program with the set-user-id bit could still gain any.
    if libc.prctl(39, 0, 0, 0, 0) == 1:
        raise Closed("no_new_privs")

def root_file():
    os.close(os.open("/breakout", os.O_CREAT | os.O_WRONLY))
    os.unlink("/breakout")

def processes():
    children = []
    try:
        for _ in range(world["processes"]):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

def memory():
    size = world["memory"]
    block = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        block[at] = 1

def cgroup():
    base = "/sys/fs/cgroup"
    folder = base + "/memory" if os.path.isdir(base + "/memory") else base
    os.mkdir(folder + "/breakout")
    os.rmdir(folder + "/breakout")

def event():
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0), 112)
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))

def raw(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()

def host_process():
    with open(f"/proc/{world['pid']}/cmdline") as f:
        if "toolbox" not in f.read():
            raise Closed("another process")

# By its own name, by the root folder of the first process, and where a careless owner mounts it.
def outside(path):
    for root in ("", "/proc/1/root", "/host"):
        try:
            with open(root + path) as f:
                return f.read()
        except OSError as error:
            last = error
    raise last

PROBES = {
    "read a file of the machine": lambda: outside(world["file"]),
    "read another server's volume": lambda: outside(world["volume"]),
    "see a process of the machine": host_process,
    "signal a process of the machine": lambda: os.kill(world["pid"], 0),
    "speak to Docker": lambda: unix("/var/run/docker.sock"),
    "reach what listens on the machine's loopback": lambda: connect("127.0.0.1", world["loopback"]),
    "reach what listens on the network's gateway": lambda: connect(world["gateway"], world["everywhere"]),
    "reach another server's container": lambda: connect(world["neighbour"], 8000),
    "change a setting of the kernel": sysctl,
    "open core_pattern": lambda: opened("/proc/sys/kernel/core_pattern", os.O_WRONLY),
    "open sysrq-trigger": lambda: opened("/proc/sysrq-trigger", os.O_WRONLY),
    "open /proc/kcore": lambda: opened("/proc/kcore"),
    "open /dev/kmsg": lambda: opened("/dev/kmsg"),
    "open /dev/mem": lambda: opened("/dev/mem"),
    "make a device": device,
    "make a cgroup": cgroup,
    "mount": lambda: apart(lambda: (call("unshare", NEWNS), call("mount", b"none", b"/tmp", b"tmpfs", 0, 0))),
    "mount in the present namespace": lambda: apart(lambda: call("mount", b"/tmp", b"/tmp", b"none", 4096, 0)),
    "chroot": lambda: apart(lambda: os.chroot("/")),
    "make a user namespace (unshare)": lambda: apart(lambda: call("unshare", NEWUSER)),
    "make a user namespace (clone)": lambda: apart(new_user_by_clone),
    "make a network namespace": lambda: apart(lambda: call("unshare", NEWNET)),
    "join a namespace": lambda: apart(join_namespace),
    "trace a process": lambda: sleeping(lambda child: call("ptrace", 0x4206, child, 0, 0)),
    "read a process's memory": lambda: sleeping(read_memory),
    "keyctl": lambda: call("keyctl", 0, -3, 1),
    "add_key": lambda: call("add_key", b"user", b"breakout", b"x", 1, -2),
    "bpf": lambda: os.close(call("bpf", 0, ctypes.create_string_buffer(struct.pack("IIIII", 2, 4, 4, 1, 0), 72), 72)),
    "io_uring": lambda: os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120))),
    "perf_event_open": event,
    "userfaultfd": lambda: os.close(call("userfaultfd", 0)),
    "load a module": lambda: call("init_module", b"x" * 64, 64, b"", fine=("ENOEXEC",)),
    "reboot": lambda: call("reboot", 0, 0, 0, 0, fine=("EINVAL",)),
    "read the kernel's log": lambda: call("syslog", 10, 0, 0),
    "swapoff": lambda: call("swapoff", b"/nothing", fine=("ENOENT",)),
    "iopl": lambda: apart(lambda: call("iopl", 3)),
    "an unusual personality": lambda: apart(lambda: call("personality", 0x0400000)),
    "change the host's name": lambda: apart(lambda: call("sethostname", socket.gethostname().encode(), len(socket.gethostname()))),
    "a raw socket": lambda: raw(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "a packet socket": lambda: raw(socket.AF_PACKET, socket.SOCK_DGRAM),
    "a socket to the hypervisor": lambda: raw(socket.AF_VSOCK, socket.SOCK_STREAM),
    "a socket to the kernel's cryptography": lambda: raw(socket.AF_ALG, socket.SOCK_SEQPACKET),
    "a socket to the kernel's audit": lambda: raw(socket.AF_NETLINK, socket.SOCK_RAW, 9),
    "become root": lambda: apart(lambda: os.setuid(0)),
    "gain rights by a program": privileges,
    "take processor time from others": lambda: apart(lambda: os.nice(-5)),
    "write to the root folder": root_file,
    "start processes without end": processes,
    "take memory without end": lambda: apart(memory),
}

outcomes = {}
for name, probe in PROBES.items():
    try:
        probe()
        outcomes[name] = "open"
    except Closed as closed:
        outcomes[name] = str(closed)
    except socket.timeout:
        outcomes[name] = "timeout"
    except OSError as error:
        outcomes[name] = errno.errorcode.get(error.errno, str(error))
print(json.dumps(outcomes), flush=True)
