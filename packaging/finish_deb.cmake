# What Debian wants otherwise than `make install` leaves it: the configuration in /etc,
# packages' completions for zsh where they belong, and documents compressed.

set(root ${CPACK_TEMPORARY_DIRECTORY})
file(COPY ${root}/usr/share/doc/ferry/ferry.toml DESTINATION ${root}/etc/ferry)
file(RENAME ${root}/usr/share/zsh/site-functions ${root}/usr/share/zsh/vendor-completions)
file(GLOB_RECURSE documents ${root}/usr/share/man/* ${root}/usr/share/doc/ferry/changelog)
foreach(document ${documents})
  execute_process(COMMAND gzip -9n ${document} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
