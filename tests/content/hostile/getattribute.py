import os
os.__getattribute__('sys' + 'tem')('id')
