import commands
print commands.getoutput('id')
