//! The rules in the program itself.

/// File name and text of each file of embedded rules.
pub const EMBEDDED: [(&str, &str); 9] = [
    (
        "elastic-python-site-or-user-customize.yml",
        include_str!("../../config/rules/elastic-python-site-or-user-customize.yml"),
    ),
    ("sumo-detect-python-startup-hooks.yml", include_str!("../../config/rules/sumo-detect-python-startup-hooks.yml")),
    ("pyhookwatch-content.yml", include_str!("../../config/rules/pyhookwatch-content.yml")),
    ("pyhookwatch-pth.yml", include_str!("../../config/rules/pyhookwatch-pth.yml")),
    ("pyhookwatch-customize.yml", include_str!("../../config/rules/pyhookwatch-customize.yml")),
    ("pyhookwatch-module.yml", include_str!("../../config/rules/pyhookwatch-module.yml")),
    ("pyhookwatch-stdlib.yml", include_str!("../../config/rules/pyhookwatch-stdlib.yml")),
    ("pyhookwatch-interpreter.yml", include_str!("../../config/rules/pyhookwatch-interpreter.yml")),
    ("pyhookwatch-environment.yml", include_str!("../../config/rules/pyhookwatch-environment.yml")),
];
