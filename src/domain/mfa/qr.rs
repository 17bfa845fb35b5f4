//! A text as a picture that a phone's camera reads (ISO/IEC 18004).

use std::fmt::Write;

use base64ct::{Base64, Encoding};
use qrcodegen::{QrCode, QrCodeEcc};

/// The blank around it, in modules: the standard wants four.
const QUIET: i32 = 4;

/// The text as an SVG picture, black on white, to be shown as it is: `data:image/svg+xml;base64,…`. `None` if it is too
/// long for any QR code.
#[must_use]
pub fn svg_data_uri(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut dark = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            write!(dark, "M{},{}h1v1h-1z", x + QUIET, y + QUIET).ok()?;
        }
    }
    let side = code.size() + 2 * QUIET;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{dark}\" fill=\"#000\"/></svg>"
    );
    Some(format!("data:image/svg+xml;base64,{}", Base64::encode_string(svg.as_bytes())))
}

#[cfg(test)]
mod tests {
    use resvg::{
        tiny_skia::{Pixmap, Transform},
        usvg::{Options, Tree},
    };

    use super::*;

    /// What a camera would read off it: drawn by one program, and read by another.
    fn read(uri: &str) -> String {
        let svg = Base64::decode_vec(uri.strip_prefix("data:image/svg+xml;base64,").unwrap()).unwrap();
        let tree = Tree::from_data(&svg, &Options::default()).unwrap();
        let scale = 6.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
        let side = (tree.size().width() * scale) as u32;
        let mut picture = Pixmap::new(side, side).unwrap();
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
        let side = usize::try_from(side).unwrap();
        let grey = |x: usize, y: usize| picture.data()[4 * (y * side + x)];
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
        let grids = image.detect_grids();
        grids.first().expect("no QR code").decode().unwrap().1
    }

    #[test]
    fn what_is_drawn_is_what_is_read() {
        let long = format!("otpauth://totp/{}?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "%C3%A9".repeat(100));
        for text in ["otpauth://totp/A:a%40b.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=A", &long] {
            assert_eq!(read(&svg_data_uri(text).unwrap()), text);
        }
        assert_eq!(svg_data_uri(&"a".repeat(4000)), None);
    }
}
