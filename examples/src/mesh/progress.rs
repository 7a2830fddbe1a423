//! Progress bars on standard error, silent when it is not a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether and where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bars on standard error, if that is a terminal.
    Terminal,
    /// Nothing.
    Silent,
}

impl Progress {
    /// A bar for `bytes` of work.
    pub(crate) fn bytes(self, label: String, bytes: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg:28} {bar:30} {bytes:>10} of {total_bytes:10} {bytes_per_sec}");
        self.bar(label, bytes, style.expect("the template is well formed"))
    }

    /// A bar for `count` steps.
    pub(crate) fn steps(self, label: String, count: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg:28} {bar:30} {pos:>10} of {len}");
        self.bar(label, count, style.expect("the template is well formed"))
    }

    fn bar(self, label: String, length: u64, style: ProgressStyle) -> ProgressBar {
        let target = match self {
            Self::Terminal => ProgressDrawTarget::stderr(),
            Self::Silent => ProgressDrawTarget::hidden(),
        };
        ProgressBar::with_draw_target(Some(length), target).with_style(style).with_message(label)
    }
}
