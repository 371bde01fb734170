# Turns text files into a C header: one static const char array per file, named by the file.
#
#	awk -v prefix=tm_script_ -v comment=-- -f embed.awk admit.lua ... > script_text.h
#
# Lines keep their numbers, so that an error names the line of the file; lines that begin with
# comment are left empty.

function finish() {
	if (open)
		print "\t\"\";\n"
}

BEGIN {
	print "/* Made by embed.awk: do not edit. */\n"
	print "/* Longer than the strings every compiler must take. */"
	print "#pragma GCC diagnostic push"
	print "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
}

FNR == 1 {
	finish()
	name = FILENAME
	sub(/^.*\//, "", name)
	sub(/\..*$/, "", name)
	print "static const char " prefix name "[] ="
	open = 1
}

{
	line = $0
	if (match(line, /[^ \t]/) && index(substr(line, RSTART), comment) == 1)
		line = ""
	gsub(/\\/, "&&", line)
	gsub(/"/, "\\\\&", line)
	print "\t\"" line "\\n\""
}

END {
	finish()
	print "#pragma GCC diagnostic pop"
}
