//! Weights that a model keeps in files beside it.
//!
//! Rules: a location is a relative path of plain names, below the model's
//! folder and nowhere else: not absolute, no `..`, and no symbolic link that
//! leads out. It is a regular file; exactly the bytes asked for are read, and
//! only if the file has them. What may be read in all is bounded by the caller.

use aether_inference::ExternalData;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The folder that a model's weights are read from.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder of a model file.
    pub(super) fn of(model: &Path) -> Self {
        let parent = model.parent().filter(|p| !p.as_os_str().is_empty());
        Self(parent.unwrap_or(Path::new(".")).to_path_buf())
    }

    fn find(&self, location: &str) -> Result<PathBuf, String> {
        let path = Path::new(location);
        let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
        let odd = location.is_empty() || location.contains(['\\', '\0', ':']);
        if odd || path.is_absolute() || !path.components().all(plain) {
            return Err("only files below the model's folder are read".into());
        }
        let folder = self.0.canonicalize().map_err(|e| e.to_string())?;
        let found = folder
            .join(path)
            .canonicalize()
            .map_err(|e| e.to_string())?;
        if !found.starts_with(&folder) {
            return Err("it leads out of the model's folder".into());
        }
        Ok(found)
    }
}

impl ExternalData for Folder {
    fn read(&mut self, location: &str, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let path = self.find(location)?;
        let meta = path.metadata().map_err(|e| e.to_string())?;
        if !meta.is_file() {
            return Err("not a file".into());
        }
        if offset
            .checked_add(length)
            .is_none_or(|end| end > meta.len())
        {
            return Err(format!(
                "{length} bytes at {offset} are wanted, the file has {}",
                meta.len()
            ));
        }
        let mut file = File::open(&path).map_err(|e| e.to_string())?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        file.take(length)
            .read_to_end(&mut bytes)
            .map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_the_models_folder_is_read() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("model");
        std::fs::create_dir_all(home.join("parts")).unwrap();
        std::fs::write(root.path().join("secret"), b"0123456789").unwrap();
        std::fs::write(home.join("parts/w.bin"), b"0123456789").unwrap();
        let mut folder = Folder::of(&home.join("m.onnx"));
        assert_eq!(folder.read("parts/w.bin", 2, 3).unwrap(), b"234");
        assert_eq!(folder.read("./parts/w.bin", 10, 0).unwrap(), b"");
        let outside = root.path().join("secret").to_string_lossy().into_owned();
        let mut bad = vec![
            (outside.as_str(), 0, 1, "below"),
            ("../secret", 0, 1, "below"),
            ("parts/../../secret", 0, 1, "below"),
            ("..\\secret", 0, 1, "below"),
            ("C:secret", 0, 1, "below"),
            ("", 0, 1, "below"),
            ("w\0", 0, 1, "below"),
            ("parts", 0, 1, "not a file"),
            ("nothing.bin", 0, 1, ""),
            ("parts/w.bin", 8, 3, "the file has 10"),
            ("parts/w.bin", u64::MAX, 2, "the file has 10"),
        ];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../secret", home.join("link")).unwrap();
            std::os::unix::fs::symlink("..", home.join("up")).unwrap();
            std::os::unix::fs::symlink("parts/w.bin", home.join("fine")).unwrap();
            assert_eq!(folder.read("fine", 0, 1).unwrap(), b"0");
            bad.push(("link", 0, 1, "leads out"));
            bad.push(("up/secret", 0, 1, "leads out"));
        }
        for (location, offset, length, why) in bad {
            let error = folder.read(location, offset, length).unwrap_err();
            assert!(error.contains(why), "{location}: {error}");
        }
    }
}
