//! Fences for what one thread does all the time and others hardly ever ask about.
//!
//! Two threads that each store something and then look at what the other has stored need a fence between the store and
//! the look, or both may see nothing (Dekker's pattern). Where one of them comes millions of times as often, its fence
//! can be left out, if the other makes the kernel run one on every processor that the process runs on
//! (`membarrier(2)`).

#[cfg(not(loom))]
pub use kernel::{heavy_fence, is_available, light_fence, thread_id};
#[cfg(loom)]
pub use model::{heavy_fence, is_available, light_fence, thread_id};

#[cfg(not(loom))]
mod kernel {
    use std::sync::OnceLock;
    use std::sync::atomic::{Ordering, compiler_fence};

    /// The frequent side's fence, between its store and its look: keeps the compiler from moving either.
    #[inline(always)]
    pub fn light_fence() {
        compiler_fence(Ordering::SeqCst);
    }

    /// A number that no other living thread of the process has, and not 0.
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
    #[inline(always)]
    pub fn thread_id() -> usize {
        let pointer: usize;
        // SAFETY: the thread control block begins with its own address (System V ABI, thread-local storage).
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        }
        pointer
    }

    /// A number that no other living thread of the process has, and not 0.
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
    pub fn thread_id() -> usize {
        thread_local!(static HERE: u8 = const { 0 });
        HERE.with(|here| std::ptr::from_ref(here).addr())
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: takes no pointers.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
    fn membarrier(_command: libc::c_int) -> bool {
        false
    }

    /// Whether there is a [`heavy_fence`]: if not, nobody may go without a fence of his own.
    pub fn is_available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
                && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
        })
    }

    /// The other side's fence, between its store and its look: after it, every thread of the process has either made its
    /// stores before its [`light_fence`] visible, or sees this thread's.
    ///
    /// Only where it [is available](is_available).
    pub fn heavy_fence() {
        if membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            return;
        }
        // Forbidden since, by a filter of system calls: taking a right from a page that is in use interrupts the same
        // processors, and an interrupt is a fence.
        let size = 4096;
        // SAFETY: a mapping of its own, which nobody else knows.
        unsafe {
            let (rights, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let page = libc::mmap(std::ptr::null_mut(), size, rights, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED, "neither membarrier(2) nor memory");
            page.cast::<u8>().write_volatile(1);
            libc::mprotect(page, size, libc::PROT_READ);
            libc::munmap(page, size);
        }
    }
}

#[cfg(loom)]
#[allow(missing_docs, reason = "as in `kernel`")]
mod model {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use loom::sync::atomic::{Ordering, fence};

    pub fn light_fence() {
        fence(Ordering::SeqCst);
    }

    pub fn heavy_fence() {
        fence(Ordering::SeqCst);
    }

    pub fn is_available() -> bool {
        true
    }

    pub fn thread_id() -> usize {
        let mut hasher = DefaultHasher::new();
        loom::thread::current().id().hash(&mut hasher);
        hasher.finish() as usize | 1
    }
}
