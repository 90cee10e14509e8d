//! Which calls of the kernel a server may make: `seccomp.json`, in the form that Docker reads.

const PROFILE: &str = include_str!("seccomp.json");

/// As an option of a container: the engine takes the profile itself, not the name of a file.
pub(super) fn option() -> String {
    format!("seccomp={PROFILE}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::HashSet;

    fn profile() -> Value {
        serde_json::from_str(option().strip_prefix("seccomp=").unwrap()).unwrap()
    }

    fn allowed(conditions: bool) -> Vec<String> {
        let profile = profile();
        let rules = profile["syscalls"].as_array().unwrap().iter();
        let rules = rules.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_some() == conditions);
        rules.flat_map(|rule| rule["names"].as_array().unwrap()).map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_not_listed_is_refused_and_no_other_calling_convention_goes_around_it() {
        let profile = profile();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        for arch in profile["archMap"].as_array().unwrap() {
            assert_eq!(arch["subArchitectures"].as_array().unwrap().len(), 0, "{arch}");
        }
    }

    #[test]
    fn ways_out_of_containers_are_not_listed() {
        let all: HashSet<String> = allowed(false).into_iter().chain(allowed(true)).collect();
        for never in [
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "bpf",
            "userfaultfd",
            "perf_event_open",
            "keyctl",
            "add_key",
            "request_key",
            "unshare",
            "setns",
            "mount",
            "umount2",
            "move_mount",
            "open_tree",
            "fsopen",
            "fsmount",
            "fspick",
            "fsconfig",
            "mount_setattr",
            "pivot_root",
            "chroot",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "process_madvise",
            "pidfd_getfd",
            "kcmp",
            "kexec_load",
            "kexec_file_load",
            "open_by_handle_at",
            "name_to_handle_at",
            "init_module",
            "finit_module",
            "delete_module",
            "swapon",
            "reboot",
            "acct",
            "quotactl",
            "syslog",
            "iopl",
            "ioperm",
            "clock_settime",
            "settimeofday",
            "clone3",
            "fanotify_init",
            "lookup_dcookie",
            "socketcall",
            "modify_ldt",
            "vmsplice",
            "memfd_secret",
        ] {
            assert!(!all.contains(never), "{never}");
        }
        // The control: an ordinary program's calls are.
        for often in ["read", "openat", "execve", "mmap", "futex", "epoll_wait", "connect", "getrandom", "memfd_create"]
        {
            assert!(all.contains(often), "{often}");
        }
    }

    #[test]
    fn what_is_allowed_in_one_form_only_is_not_allowed_as_a_whole() {
        let (whole, some) = (allowed(false), allowed(true));
        for name in ["clone", "socket", "personality", "mknod", "mknodat"] {
            assert!(some.iter().any(|n| n == name) && !whole.iter().any(|n| n == name), "{name}");
        }
        assert_eq!(whole.iter().collect::<HashSet<_>>().len(), whole.len());
    }
}
