//! What the system says about a process, from the files in `/proc`. It never changes anything.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::trouble::{Result, Trouble};

pub struct ProcFiles {
    folder: PathBuf,
}

/// How long a process has to look idle before we believe it.
const REST: Duration = Duration::from_millis(6);
/// A process that is busy for longer than this without work of ours spins.
const REST_MAX: Duration = Duration::from_secs(5);

impl ProcFiles {
    pub fn of(process: u32) -> ProcFiles {
        ProcFiles { folder: PathBuf::from(format!("/proc/{process}")) }
    }

    /// Waits until the process sleeps.
    pub fn rest(&self) -> Result<()> {
        self.cpu_ns_at_rest().map(drop)
    }

    /// The processor time that the process has used, in nanoseconds, once it sleeps. The figure
    /// is exact for a process of one thread, but only brought up to date when it goes to sleep.
    pub fn cpu_ns_at_rest(&self) -> Result<u64> {
        let give_up = Instant::now() + REST_MAX;
        let mut since = Instant::now();
        let mut last = self.cpu_ns()?;
        while since.elapsed() < REST {
            if Instant::now() > give_up {
                return Trouble::wrong("the process does not come to rest after its work");
            }
            thread::sleep(REST / 6);
            let now = self.cpu_ns()?;
            if now != last || !self.sleeps()? {
                since = Instant::now();
                last = now;
            }
        }
        Ok(last)
    }

    /// The memory that the process has resident, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        // `smaps_rollup` is exact; what `status` says may lag behind by some pages a processor.
        let kib =
            self.number_after("smaps_rollup", "Rss:").or_else(|_| self.number_after("status", "VmRSS:"))?;
        Ok(kib * 1024)
    }

    /// How often the process has gone to sleep, which is how often it was woken up.
    pub fn sleeps_so_far(&self) -> Result<u64> {
        self.number_after("status", "voluntary_ctxt_switches:")
    }

    /// How many descriptors the process has open.
    pub fn open_descriptors(&self) -> Result<usize> {
        let entries = fs::read_dir(self.folder.join("fd"));
        Ok(entries.map_err(|cause| self.not_here("fd", &cause.to_string()))?.count())
    }

    pub fn cpu_ns(&self) -> Result<u64> {
        let text = self.read("schedstat")?;
        let number = text.split(' ').next().and_then(|word| word.parse().ok());
        number.ok_or_else(|| self.not_here("schedstat", "there is no number in it"))
    }

    fn sleeps(&self) -> Result<bool> {
        // The name in front, in brackets, may hold anything; the state is the next word.
        let text = self.read("stat")?;
        Ok(text.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S")))
    }

    fn number_after(&self, file: &str, key: &str) -> Result<u64> {
        let text = self.read(file)?;
        let rest = text.lines().find_map(|line| line.strip_prefix(key));
        let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| self.not_here(file, &format!("there is no {key} in it")))
    }

    fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).map_err(|cause| self.not_here(file, &cause.to_string()))
    }

    fn not_here(&self, file: &str, cause: &str) -> Trouble {
        Trouble::NotHere(format!("{}: {cause}", self.folder.join(file).display()))
    }
}
